// To the clipboard. A page that came by plain HTTP from another machine has none; the old way works there too.

export async function copy(text: string): Promise<void> {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = document.createElement('textarea');
  field.value = text;
  field.readOnly = true;
  field.className = 'unseen';
  // Inside an open dialog, nothing outside it can hold the focus.
  const place = document.querySelector('dialog[open]') ?? document.body;
  const before = document.activeElement;
  place.append(field);
  field.select();
  const went = document.execCommand('copy');
  field.remove();
  if (before instanceof HTMLElement) before.focus();
  if (!went) throw new Error('This browser lets no page copy. Mark the text and copy it by hand.');
}
