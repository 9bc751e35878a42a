// Markdown as an agent writes it, made into HTML that can do nothing: no script, no style, no form, nothing
// fetched. HTML in it is shown as it was written. It is rendered first and cleaned afterwards, so that nothing can hide
// in the Markdown; what the console adds to it (copy buttons, frames around tables) comes last.

import DOMPurify from 'dompurify';
import { Marked, type Tokens } from 'marked';
import type { TrustedTypesWindow } from 'trusted-types/lib';

const marked = new Marked({
  gfm: true,
  breaks: true,
  renderer: {
    html: asWritten,
    // What stands behind a tag such as <script> comes as it is.
    text: (token) => (token.type === 'text' && token.escaped ? literal(token.text) : false),
  },
});

// What Markdown has no signs for.
const PLAIN = /^<\/?(?:br|sub|sup|kbd|del|strong|em|code)\s*\/?>$/i;

/** HTML in a text isn't obeyed but shown, so that nothing of what was said is missing. */
function asWritten({ text, block }: Tokens.HTML | Tokens.Tag): string {
  const tag = text.trim();
  if (PLAIN.test(tag)) return tag;
  return block ? `<p>${literal(tag).replaceAll('\n', '<br>')}</p>` : literal(text);
}

function literal(text: string): string {
  return text.replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

const ALLOWED_TAGS = [
  'p', 'br', 'hr', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'strong', 'em', 'del', 'code', 'pre', 'blockquote',
  'ul', 'ol', 'li', 'table', 'thead', 'tbody', 'tr', 'th', 'td', 'a', 'input', 'sup', 'sub', 'kbd',
];
const ALLOWED_ATTR = ['href', 'title', 'align', 'start', 'checked', 'disabled', 'type', 'class'];
const LINKS = /^(?:https?:|mailto:|#)/i;
const LANGUAGE = /^language-([\w+#.-]{1,30})$/;

const purify = DOMPurify(window);

// The language of a code block is the only class that gets through, and only to be read here.
purify.addHook('uponSanitizeAttribute', (node, attribute) => {
  if (attribute.attrName === 'class') attribute.keepAttr = node.nodeName === 'CODE' && LANGUAGE.test(attribute.attrValue);
});

/** HTML that is safe to show. Pictures become links: nothing is fetched because an agent said so. */
export function html(markdown: string): string {
  const rendered = marked.parse(markdown, { async: false });
  const clean = purify.sanitize(withoutPictures(rendered), {
    ALLOWED_TAGS, ALLOWED_ATTR, ALLOWED_URI_REGEXP: LINKS, ALLOW_DATA_ATTR: false, ALLOW_ARIA_ATTR: false,
    RETURN_DOM_FRAGMENT: true,
  });
  const body = document.createElement('div');
  body.append(clean);
  dress(body);
  return trusted(body.innerHTML);
}

// The page's policy lets no text become HTML but through a few named places. This is one: only what was cleaned
// comes here. What it makes isn't a string, but all that is done with it is to show it, by `{@html}`.
const policy = (window as unknown as TrustedTypesWindow).trustedTypes?.createPolicy('markdown', { createHTML: (clean) => clean });

function trusted(clean: string): string {
  return policy ? (policy.createHTML(clean) as unknown as string) : clean;
}

/** An agent's picture as a link that a person may follow. The cleaning comes after this. */
function withoutPictures(rendered: string): string {
  return rendered.replace(/<img src="([^"]*)" alt="([^"]*)"[^>]*>/g, (_, src: string, alt: string) => `<a href="${src}">${alt || 'picture'}</a>`);
}

function dress(body: HTMLElement): void {
  for (const link of body.querySelectorAll('a')) leadOut(link);
  for (const box of body.querySelectorAll('input')) box.replaceWith(box.checked ? '☑ ' : '☐ ');
  for (const heading of body.querySelectorAll('h1, h2, h3, h4, h5, h6')) lower(heading);
  for (const table of body.querySelectorAll('table')) frame(table, 'scroll wide');
  for (const block of body.querySelectorAll('pre')) title(block);
}

/** A link says where it leads, and that page learns nothing of this one. */
function leadOut(link: HTMLAnchorElement): void {
  const href = link.getAttribute('href');
  link.removeAttribute('title');
  if (href === null || href.startsWith('#')) return link.replaceWith(...link.childNodes);
  link.setAttribute('rel', 'noopener noreferrer nofollow');
  link.setAttribute('target', '_blank');
  link.setAttribute('title', href);
}

/** The headings of a message stand below those of the screen. */
function lower(heading: Element): void {
  const level = Math.min(6, Number(heading.tagName.slice(1)) + 2);
  const lowered = document.createElement(`h${level}`);
  lowered.append(...heading.childNodes);
  heading.replaceWith(lowered);
}

function frame(inner: Element, name: string): HTMLElement {
  const around = document.createElement('div');
  around.className = name;
  around.tabIndex = 0;
  around.setAttribute('role', 'group');
  around.setAttribute('aria-label', 'Table');
  inner.replaceWith(around);
  around.append(inner);
  return around;
}

/** A block of code gets its language and a button that copies it: one listener of the thread hears them all. */
function title(block: HTMLPreElement): void {
  const code = block.querySelector('code');
  const language = LANGUAGE.exec(code?.className ?? '')?.[1] ?? '';
  code?.removeAttribute('class');
  block.tabIndex = 0;
  block.setAttribute('role', 'group');
  block.setAttribute('aria-label', language ? `Code, ${language}` : 'Code');
  const around = document.createElement('div');
  around.className = 'code';
  const head = document.createElement('div');
  head.className = 'codehead';
  const word = document.createElement('span');
  word.textContent = language;
  const copy = document.createElement('button');
  copy.type = 'button';
  copy.className = 'copycode';
  copy.textContent = 'Copy';
  copy.setAttribute('aria-label', language ? `Copy this ${language}` : 'Copy this code');
  head.append(word, copy);
  block.replaceWith(around);
  around.append(head, block);
}
