// What stands in a page of the console and mustn't, whether it works or not. `test_xss` asks for it.
() => {
  const set = (words) => new Set(words.split(' '));
  const never = set(
    'IFRAME FRAME FRAMESET OBJECT EMBED BASE APPLET VIDEO AUDIO MATH MARQUEE PORTAL TEMPLATE NOSCRIPT PLAINTEXT ' +
    'XMP SLOT FOREIGNOBJECT ANIMATE SET IMAGE USE',
  );
  const onlyInHead = set('SCRIPT STYLE LINK META TITLE');
  const said = set(
    'P BR HR H3 H4 H5 H6 STRONG EM DEL CODE PRE BLOCKQUOTE UL OL LI TABLE THEAD TBODY TR TH TD A SUP SUB KBD ' +
    'DIV SPAN BUTTON',
  );
  const worn = set('href title align start class rel target tabindex role aria-label type');
  const classes = /^(code|codehead|copycode|scroll wide|(last )?svelte-\w+)?$/;
  const leads = set(
    'href src srcset action formaction xlink:href data poster background ping cite longdesc manifest icon values to',
  );
  const found = [];
  const tell = (what, one) => found.push(`${what}: ${one.outerHTML.slice(0, 160)}`);

  function address(tag, one, value) {
    let to;
    try {
      to = new URL(value, location.href);
    } catch {
      return false;
    }
    if (to.origin === location.origin || to.protocol === 'blob:') return true;
    return tag === 'A' && ['http:', 'https:', 'mailto:'].includes(to.protocol) && one.rel.includes('noopener');
  }

  for (const one of document.querySelectorAll('html, head, head *, body, #app, #app *')) {
    const tag = one.tagName.toUpperCase();
    const misplaced = onlyInHead.has(tag) && one.closest('body') && !one.closest('svg');
    if (never.has(tag) || misplaced) tell('an element', one);
    const prose = one.closest('.prose');
    const inside = prose && prose !== one;
    if (inside && !said.has(tag)) tell('an element in what was said', one);
    for (const { name, value } of one.attributes) {
      if (name.startsWith('on') || name === 'srcdoc') tell('a handler', one);
      if (inside && (!worn.has(name) || (name === 'class' && !classes.test(value)))) tell(`the attribute ${name}`, one);
      if (leads.has(name) && !address(tag, one, value)) tell('an address', one);
    }
  }
  return found;
}
