/** The look of every picture, and small parts of SVG. Development only. */

export const escapeXml = (text: string): string =>
  text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;');

export interface Point {
  x: number;
  y: number;
}

/** A line with rounded corners. */
export function linePath(points: readonly Point[], radius = 5): string {
  const [first, ...rest] = points;
  if (!first) return '';
  let path = `M${first.x} ${first.y}`;
  let from = first;
  rest.forEach((point, index) => {
    const next = rest[index + 1];
    if (!next) {
      path += `L${point.x} ${point.y}`;
      return;
    }
    const r = Math.min(radius, distance(from, point) / 2, distance(point, next) / 2);
    const before = towards(point, from, r);
    const after = towards(point, next, r);
    path += `L${before.x} ${before.y}Q${point.x} ${point.y} ${after.x} ${after.y}`;
    from = point;
  });
  return path;
}

const distance = (a: Point, b: Point): number => Math.abs(a.x - b.x) + Math.abs(a.y - b.y);
const round = (value: number): number => Math.round(value * 10) / 10;
function towards(from: Point, to: Point, by: number): Point {
  const length = distance(from, to) || 1;
  return {
    x: round(from.x + ((to.x - from.x) * by) / length),
    y: round(from.y + ((to.y - from.y) * by) / length),
  };
}

/** The head of an arrow that ends at the last point. */
export function headPath(points: readonly Point[], size = 7): string {
  const tip = points.at(-1)!;
  const before = points.at(-2) ?? tip;
  const back = towards(tip, before, size);
  const half = size * 0.5;
  const across = tip.x === before.x ? { x: half, y: 0 } : { x: 0, y: half };
  return `M${tip.x} ${tip.y}L${round(back.x - across.x)} ${round(back.y - across.y)}L${round(back.x + across.x)} ${round(back.y + across.y)}Z`;
}

/**
 * A page that inlines a picture may set the variables, and may light what it likes by its attributes: `.lit` on a state or
 * an edge is enough.
 */
const STYLE = `
.kd{--kd-ink:#1f2733;--kd-faint:#667085;--kd-line:#7c8798;--kd-paper:#fff;--kd-box:#f6f8fb;--kd-inner:#fff;--kd-edge:#c9d1dc;--kd-lit:#0b7a4b;--kd-lit-box:#d9f5e6;font:11px system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;color:var(--kd-ink)}
@media(prefers-color-scheme:dark){.kd{--kd-ink:#e4e9f0;--kd-faint:#98a4b5;--kd-line:#8592a6;--kd-paper:#12161c;--kd-box:#1a2029;--kd-inner:#222a35;--kd-edge:#3a4656;--kd-lit:#4ade9a;--kd-lit-box:#123b29}}
.kd text{fill:currentColor;white-space:pre}
.kd .paper{fill:var(--kd-paper)}
.kd .box{fill:var(--kd-inner);stroke:var(--kd-edge);stroke-width:1.2}
.kd .outer>.box{fill:var(--kd-box)}
.kd .region>.box,.kd .any>.box{stroke-dasharray:5 4}
.kd .title{font-size:13px;font-weight:600}
.kd .faint{fill:var(--kd-faint)}
.kd .rule{stroke:var(--kd-edge);stroke-width:1}
.kd .line{fill:none;stroke:var(--kd-line);stroke-width:1.3}
.kd .head,.kd .dot{fill:var(--kd-line)}
.kd .back{fill:var(--kd-box)}
.kd .bare>.back{fill:var(--kd-paper)}
.kd .ring{fill:none;stroke:var(--kd-line);stroke-width:1.3}
.kd .bold{font-weight:600}
.kd .frame{fill:var(--kd-box)}
.kd .life{stroke:var(--kd-edge);stroke-width:1.2;stroke-dasharray:4 3}
.kd .cross{stroke:var(--kd-line);stroke-width:1.6}
.kd .dashed,.kd .beside>.line,.kd .system>.line{stroke-dasharray:5 3}
.kd .pill{fill:var(--kd-lit-box)}
.kd .over{paint-order:stroke;stroke:var(--kd-box);stroke-width:4;stroke-linejoin:round}
.kd .lit>.box{stroke:var(--kd-lit);stroke-width:2.4;fill:var(--kd-lit-box)}
.kd .lit>.line{stroke:var(--kd-lit);stroke-width:2.4}
.kd .lit>.head{fill:var(--kd-lit)}
`
  .trim()
  .replace(/\n/g, '');

export interface Picture {
  /** Begins every id in the picture, so that several can be in one page. */
  name: string;
  title: string;
  description: string;
  width: number;
  height: number;
}

export function svg({ name, title, description, width, height }: Picture, body: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" class="kd" role="img" aria-labelledby="${name}-title ${name}-desc" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">`,
    `<title id="${name}-title">${escapeXml(title)}</title>`,
    `<desc id="${name}-desc">${escapeXml(description)}</desc>`,
    `<style>${STYLE}</style>`,
    `<rect class="paper" width="${width}" height="${height}" rx="6"/>`,
    ...body,
    '</svg>',
    '',
  ].join('\n');
}
