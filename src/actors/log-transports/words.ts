/** What the arbiter and the thread of a log transport say to each other. */

/** What the thread begins with. */
export interface ThreadData {
  /** As in settings, for messages. */
  module: string;
  /** The address of a file; undefined: a package, found from the directory. */
  url: string | undefined;
  /** The address of a file of the directory from which packages are found. */
  from: string;
}

/** A line of the log, as JSON; `end`: the last one was given. */
export type ToThread = { type: 'line'; json: string } | { type: 'end' };

export type FromThread =
  /** The module is loaded. */
  | { type: 'ready' }
  /** It cannot be. */
  | { type: 'failed'; why: string }
  /** The transports took a line. */
  | { type: 'taken' };
