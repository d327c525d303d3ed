/** The entry point of the thread that says where its worker hangs. */
import { runHangThread } from '../hang-stack/thread.ts';

runHangThread();
