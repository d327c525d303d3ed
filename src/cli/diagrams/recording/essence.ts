/** What two runs of one scene have in common, whoever was faster: what is said from each to each, and where each goes. Development only. */
import type { Step, Story } from './story.ts';

const whoOf = (step: Step): string =>
  step.kind === 'message'
    ? `${step.from} to ${step.to}`
    : step.kind === 'start'
      ? `${step.from} starts`
      : step.of;
const whatOf = (step: Step): string => {
  if (step.kind === 'message') return step.text;
  if (step.kind === 'state') return step.why ? `${step.why}: ${step.text}` : step.text;
  return step.kind === 'start' ? step.of : 'ended';
};

/** In the order of each alone: that between processes is a matter of chance. */
export function essenceOf({ participants, steps }: Story): Record<string, string[]> {
  const essence: Record<string, string[]> = { participants: participants.map(({ name }) => name) };
  for (const step of steps) {
    essence[whoOf(step)] ??= [];
    essence[whoOf(step)]!.push(whatOf(step));
  }
  return essence;
}
