// Piscina's worker: its threads share memory with the caller's process.
import { actions } from './dirty-actions.mjs';

export default ({ action, args }) => actions[action](...args);
