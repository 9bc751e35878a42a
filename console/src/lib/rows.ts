// The rows of a list, walked by keys: each has one link or button marked `data-row`, and that has the focus.

/** Focus the row `by` rows on. With none in hand it is the first one, or backwards the last. */
export function walkRows(by: number): void {
  const rows = [...document.querySelectorAll<HTMLElement>('main [data-row]')];
  const at = rows.findIndex((row) => row === document.activeElement);
  const to = at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, at + by));
  rows[to]?.focus();
}
