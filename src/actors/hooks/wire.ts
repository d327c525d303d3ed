/** What passes between an arbiter and the process that it keeps for hooks, in frames of a link. Read at both ends. */
import * as v from 'valibot';
import type { Vocabulary } from '../../machines/events/link.ts';

/** The link; the next descriptor is what ends with the arbiter. */
export const HOOK_LINK_FD = 3;

/** One call at a time: the next comes when this one was answered. */
const HookCallSchema = v.object({
  type: v.literal('hook.call'),
  name: v.string(),
  subject: v.record(v.string(), v.unknown()),
});
export type HookCall = v.InferOutput<typeof HookCallSchema>;

const HookDoneSchema = v.object({ type: v.literal('hook.done') });
const HookFailedSchema = v.object({ type: v.literal('hook.failed'), why: v.string() });
/** Something that a hook has left behind has thrown. The process is not to be used any more. */
const HookStraySchema = v.object({ type: v.literal('hook.stray'), why: v.string() });
export type HookAnswer = v.InferOutput<
  typeof HookDoneSchema | typeof HookFailedSchema | typeof HookStraySchema
>;

export const hookCalls: Vocabulary = { 'hook.call': HookCallSchema };
export const hookAnswers: Vocabulary = {
  'hook.done': HookDoneSchema,
  'hook.failed': HookFailedSchema,
  'hook.stray': HookStraySchema,
};
