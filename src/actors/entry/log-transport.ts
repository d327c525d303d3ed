/** The entry point of the thread of a log transport of the user's. */
import { runTransportThread } from '../log-transports/thread.ts';

void runTransportThread();
