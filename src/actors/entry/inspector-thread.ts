/** The entry point of the inspector's thread. */
import { runInspectorThread } from '../inspect/thread/room.ts';

runInspectorThread();
