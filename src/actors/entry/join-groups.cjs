'use strict';
/**
 * Drops root's privileges with every group of the user, before any code of the user's: it is the first that Node.js is told to
 * load (`identity.ts`). Runs in each process that is started with `--initgroups`, and in none of those that such a one starts.
 */
const { isMainThread } = require('node:worker_threads');

const given = process.env.KIRIN_JOIN_GROUPS;
if (given !== undefined && isMainThread) {
  const { uid, gid, name, options } = JSON.parse(given);
  delete process.env.KIRIN_JOIN_GROUPS;
  if (options === null) delete process.env.NODE_OPTIONS;
  else process.env.NODE_OPTIONS = options;
  try {
    process.initgroups(name, gid);
    process.setgid(gid);
    process.setuid(uid);
  } catch (error) {
    process.stderr.write(`kirin: cannot become the user ${name}: ${error.message}\n`);
    process.exit(1);
  }
}
