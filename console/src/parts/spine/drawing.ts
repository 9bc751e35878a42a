// Draws the spine: a line over the whole journal, a tick per event while there is room, and marks with a shape and a
// colour each. Nothing here is done once per event; it is as quick for a million events as for a hundred.

import { ORDER, type MarkKind, type SpineMark } from '../../lib/conversation/marks';

export interface Scale {
  first: number;
  last: number;
  height: number;
}

/** Room above and below, so that no mark is cut. */
export const MARGIN = 8;
/** Ticks stand at least so many pixels apart, else they are left out. */
const TICK_GAP = 4;

export function yOf(scale: Scale, seq: number): number {
  const span = Math.max(1, scale.last - scale.first);
  return MARGIN + ((seq - scale.first) / span) * (scale.height - 2 * MARGIN);
}

export function seqAt(scale: Scale, y: number): number {
  const share = (y - MARGIN) / Math.max(1, scale.height - 2 * MARGIN);
  return Math.round(scale.first + Math.min(1, Math.max(0, share)) * (scale.last - scale.first));
}

/** So many pixels share one line of marks. */
export const GRID = 4;

export interface Seen {
  mark: SpineMark;
  /** How many marks fall on this line. */
  many: number;
}

export const lineOf = (y: number): number => Math.round(y / GRID) * GRID;

/** The marks that are seen: the weightiest of each line, and how many it stands for. */
export function seen(marks: readonly SpineMark[], scale: Scale): Map<number, Seen> {
  const lines = new Map<number, Seen>();
  for (const mark of marks) {
    if (mark.seq < scale.first || mark.seq > scale.last) continue;
    const y = lineOf(yOf(scale, mark.seq));
    const there = lines.get(y);
    if (!there) lines.set(y, { mark, many: 1 });
    else {
      there.many += 1;
      if (ORDER.indexOf(mark.kind) >= ORDER.indexOf(there.mark.kind)) there.mark = mark;
    }
  }
  return lines;
}

export interface Colours {
  ink: string;
  soft: string;
  line: string;
  edge: string;
  brass: string;
  teal: string;
  red: string;
  paper: string;
  sunken: string;
}

export function coloursOf(element: Element): Colours {
  const style = getComputedStyle(element);
  const of = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return {
    ink: of('ink'), soft: of('soft'), line: of('line'), edge: of('edge'), brass: of('brass'), teal: of('teal'), red: of('red'), paper: of('paper'),
    sunken: of('sunken'),
  };
}

export interface Look {
  scale: Scale;
  width: number;
  /** Where the line stands. */
  x: number;
  marks: Map<number, Seen>;
  /** Numbers from here on are known here; what lies before is only told by its marks. */
  known: number;
  window: [number, number] | null;
  at: number | null;
  live: boolean;
  slim: boolean;
}

export function draw(on: CanvasRenderingContext2D, look: Look, colours: Colours): void {
  const { scale, width, x } = look;
  on.clearRect(0, 0, width, scale.height);
  if (look.window) band(on, look, look.window, colours);
  const from = look.known > scale.first ? yOf(scale, look.known) : MARGIN;
  on.fillStyle = colours.line;
  on.fillRect(x, MARGIN, 1, from - MARGIN);
  on.fillStyle = colours.edge;
  on.fillRect(x, from, 1, scale.height - MARGIN - from);
  ticks(on, look, colours);
  // Where marks touch each other, messages become a profile of how much was said.
  const crowded = look.marks.size * GRID > (scale.height - 2 * MARGIN) / 3;
  const most = crowded ? Math.max(...[...look.marks.values()].map((one) => one.many)) : 1;
  for (const [y, { mark, many }] of look.marks) {
    if (crowded && (mark.kind === 'said' || mark.kind === 'answered')) profile(on, look, y, many / most, colours);
    else shape(on, mark.kind, x + 0.5, y, look.slim, colours);
  }
  if (look.live) dot(on, x + 0.5, yOf(scale, scale.last), 3.5, colours.teal);
  if (look.at !== null) handle(on, look, yOf(scale, look.at), colours);
}

function band(on: CanvasRenderingContext2D, { scale, width }: Look, [from, to]: [number, number], colours: Colours): void {
  const top = yOf(scale, from);
  const height = Math.max(6, yOf(scale, to) - top);
  const y = Math.min(top, scale.height - MARGIN - height);
  on.fillStyle = colours.sunken;
  on.fillRect(0, y, width, height);
  on.fillStyle = colours.edge;
  on.fillRect(width - 2, y, 2, height);
}

function profile(on: CanvasRenderingContext2D, { x, slim }: Look, y: number, share: number, colours: Colours): void {
  on.fillStyle = colours.soft;
  on.fillRect(x, y - 1, (slim ? 2 : 3) + share * (slim ? 4 : 9), 2);
}

function ticks(on: CanvasRenderingContext2D, { scale, x, slim }: Look, colours: Colours): void {
  const gap = (scale.height - 2 * MARGIN) / Math.max(1, scale.last - scale.first);
  if (gap < TICK_GAP || slim) return;
  on.fillStyle = colours.edge;
  for (let seq = scale.first; seq <= scale.last; seq += 1) on.fillRect(x - 2, Math.round(yOf(scale, seq)), 5, 1);
}

function handle(on: CanvasRenderingContext2D, { width, x, slim }: Look, y: number, colours: Colours): void {
  on.fillStyle = colours.ink;
  on.fillRect(0, Math.round(y), width, 1);
  dot(on, x + 0.5, y + 0.5, slim ? 4 : 5, colours.ink);
  dot(on, x + 0.5, y + 0.5, slim ? 1.5 : 2, colours.paper);
}

function dot(on: CanvasRenderingContext2D, x: number, y: number, radius: number, colour: string): void {
  on.fillStyle = colour;
  on.beginPath();
  on.arc(x, y, radius, 0, 2 * Math.PI);
  on.fill();
}

function path(on: CanvasRenderingContext2D, colour: string, fill: boolean, paper: string, points: number[]): void {
  on.beginPath();
  for (let at = 0; at < points.length; at += 2) on.lineTo(points[at] ?? 0, points[at + 1] ?? 0);
  on.closePath();
  on.fillStyle = fill ? colour : paper;
  on.fill();
  on.strokeStyle = colour;
  on.lineWidth = 1;
  on.stroke();
}

/** Each kind has a shape of its own, so that none is told by its colour alone. */
function shape(on: CanvasRenderingContext2D, kind: MarkKind, x: number, y: number, slim: boolean, colours: Colours): void {
  const wide = slim ? 4 : 8;
  const r = slim ? 3 : 4;
  switch (kind) {
    case 'said':
      on.fillStyle = colours.ink;
      return on.fillRect(x - wide, y - 1, 2 * wide, 2);
    case 'answered':
      on.fillStyle = colours.soft;
      return on.fillRect(x, y - 1, wide, 2);
    case 'called':
      return path(on, colours.soft, false, colours.paper, [x - 2, y - 2, x + 2, y - 2, x + 2, y + 2, x - 2, y + 2]);
    case 'asked':
    case 'decided':
      return path(on, kind === 'asked' ? colours.brass : colours.soft, kind === 'asked', colours.paper, [x, y - r, x + r, y, x, y + r, x - r, y]);
    case 'recalled':
      dot(on, x, y, 3.5, colours.soft);
      return dot(on, x, y, 2.25, colours.paper);
    case 'undone':
      return path(on, colours.ink, true, colours.paper, [x - r, y, x + 2, y - r, x + 2, y + r]);
    case 'failed':
      on.strokeStyle = colours.red;
      on.lineWidth = 2;
      on.beginPath();
      on.moveTo(x - 3, y - 3);
      on.lineTo(x + 3, y + 3);
      on.moveTo(x + 3, y - 3);
      on.lineTo(x - 3, y + 3);
      return on.stroke();
    case 'stopped':
      return path(on, colours.ink, true, colours.paper, [x - 2.5, y - 2.5, x + 2.5, y - 2.5, x + 2.5, y + 2.5, x - 2.5, y + 2.5]);
    case 'filed':
    case 'noted':
      return dot(on, x, y, 1.75, colours.soft);
  }
}
