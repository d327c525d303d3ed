/** What the page asks of the browser around it: files, downloads, and what outlasts a visit. Runs in the browser. */

/** A browser may be told to remember nothing. */
export function rememberedTheme(): string | null {
  try {
    return localStorage.getItem('kirin-theme');
  } catch {
    return null;
  }
}
export function rememberTheme(theme: string): void {
  try {
    localStorage.setItem('kirin-theme', theme);
  } catch {
    // Then it lasts as long as the page.
  }
}

/** A file's lines, without its whole text in memory at once. */
export async function takeLines(file: File, take: (line: string) => void): Promise<void> {
  const reader = file.stream().pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    const lines = (rest + value).split('\n');
    rest = lines.pop()!;
    for (const line of lines) if (line) take(line);
  }
  if (rest) take(rest);
}

/** Saves lines, each with its end, under a name. */
export function download(name: string, lines: Iterable<string>): void {
  const parts: string[] = [];
  for (const line of lines) parts.push(line, '\n');
  const url = URL.createObjectURL(new Blob(parts, { type: 'application/x-ndjson' }));
  const anchor = document.createElement('a');
  anchor.href = url;
  anchor.download = name;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
