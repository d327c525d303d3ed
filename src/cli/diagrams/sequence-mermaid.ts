/** A story as Mermaid's text. Development only. */
import type { Story } from './recording/story.ts';

const idOf = (name: string): string => name.replace(/[^a-z0-9]/gi, '_');
/** A semicolon would end the line, and a # begins a character's code. */
const textOf = (text: string): string => text.replace(/[;#]/g, ',');

export function sequenceMermaid({ participants, steps }: Story): string {
  const lines = ['sequenceDiagram'];
  for (let first = 0; first < participants.length; ) {
    const { process } = participants[first]!;
    let end = first;
    while (end < participants.length && participants[end]!.process === process) end++;
    const members = participants.slice(first, end).map(({ name }) => `participant ${idOf(name)} as ${name}`);
    if (process === null) lines.push(...members.map((line) => `  ${line}`));
    else lines.push(`  box ${process} process`, ...members.map((line) => `    ${line}`), '  end');
    first = end;
  }
  for (const step of steps) {
    if (step.kind === 'message')
      lines.push(
        `  ${idOf(step.from)}${step.way === 'inside' ? '->>' : '-)'}${idOf(step.to)}: ${textOf(step.text)}`,
      );
    else if (step.kind === 'start') lines.push(`  ${idOf(step.from)}-->>${idOf(step.of)}: starts`);
    else if (step.kind === 'state')
      lines.push(
        `  Note over ${idOf(step.of)}: ${textOf(step.why ? `${step.why}: ${step.text}` : step.text)}`,
      );
    else lines.push(`  Note over ${idOf(step.of)}: ended`);
  }
  return `${lines.join('\n')}\n`;
}
