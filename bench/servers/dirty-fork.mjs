// The hand-written peer: a child of `fork` with advanced serialization, one message for each call and each answer.
import { actions } from './dirty-actions.mjs';

process.on('message', ([id, action, args, isStream]) => {
  if (isStream) for (const chunk of actions[action](...args)) process.send([id, chunk, false]);
  process.send([id, isStream ? undefined : actions[action](...args), true]);
});
process.on('disconnect', () => process.exit());
process.send('ready');
