// JSON in lines, each with the path that names it, and what differs between two of them.

export interface JsonLine {
  /** As one would write it in code: `data.arguments.items[0]`. Empty for the whole. */
  path: string;
  depth: number;
  key: string;
  /** The value in one line; of an object or a list, how it begins. */
  text: string;
  kind: 'string' | 'number' | 'word' | 'open' | 'close';
  value: unknown;
}

export function stepTo(path: string, key: string | number): string {
  if (typeof key === 'number') return `${path}[${key}]`;
  if (/^[A-Za-z_$][\w$]*$/.test(key)) return path ? `${path}.${key}` : key;
  return `${path}[${JSON.stringify(key)}]`;
}

type Branch = [string | number, unknown][];

function branchesOf(value: unknown): Branch | null {
  if (Array.isArray(value)) return value.map((one, at): [number, unknown] => [at, one]);
  if (typeof value === 'object' && value !== null) return Object.entries(value);
  return null;
}

/** A value in lines, at most `most`. */
export function linesOf(value: unknown, most = 2_000): JsonLine[] {
  const lines: JsonLine[] = [];
  const walk = (one: unknown, path: string, key: string, depth: number): void => {
    if (lines.length >= most) return;
    const branches = branchesOf(one);
    if (!branches || branches.length === 0) {
      const kind = typeof one === 'string' ? 'string' : typeof one === 'number' ? 'number' : 'word';
      lines.push({ path, depth, key, text: JSON.stringify(one) ?? 'undefined', kind, value: one });
      return;
    }
    const [begin, end] = Array.isArray(one) ? ['[', ']'] : ['{', '}'];
    lines.push({ path, depth, key, text: begin, kind: 'open', value: one });
    for (const [name, child] of branches) walk(child, stepTo(path, name), typeof name === 'number' ? '' : name, depth + 1);
    lines.push({ path, depth, key: '', text: end, kind: 'close', value: one });
  };
  walk(value, '', '', 0);
  return lines;
}

export interface Change {
  path: string;
  kind: 'added' | 'removed' | 'changed';
  before: unknown;
  after: unknown;
}

/** What differs between two values, path by path, in the order of the first. */
export function changesBetween(before: unknown, after: unknown, path = ''): Change[] {
  const [one, other] = [branchesOf(before), branchesOf(after)];
  if (!one || !other || Array.isArray(before) !== Array.isArray(after)) {
    return JSON.stringify(before) === JSON.stringify(after) ? [] : [{ path, kind: 'changed', before, after }];
  }
  const later = new Map(other);
  const found = one.flatMap(([key, value]): Change[] => {
    const at = stepTo(path, key);
    return later.has(key) ? changesBetween(value, later.get(key), at) : [{ path: at, kind: 'removed', before: value, after: undefined }];
  });
  const known = new Set(one.map(([key]) => key));
  const added = other.filter(([key]) => !known.has(key)).map(([key, value]): Change => ({ path: stepTo(path, key), kind: 'added', before: undefined, after: value }));
  return [...found, ...added];
}
