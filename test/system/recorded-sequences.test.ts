/**
 * The sequences in diagrams/ tell what a real server does: each is recorded anew, and tells the same story. A second run
 * decides where the first was other: a machine that stands still for a second meets limits of the server, such as that of SIGABRT.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { storedStory } from '../../src/cli/diagrams/all.ts';
import { essenceOf } from '../../src/cli/diagrams/recording/essence.ts';
import { record } from '../../src/cli/diagrams/recording/run.ts';
import { SCENES } from '../../src/cli/diagrams/recording/scenes.ts';

for (const [name, scene] of Object.entries(SCENES))
  test(`${name}: what is drawn is what happens`, async (t) => {
    const expected = essenceOf(storedStory(name));
    const first = essenceOf(await record(scene));
    if (isDeepStrictEqual(first, expected)) return;
    t.diagnostic(
      `not as in diagrams/recordings/${name}.json: where it is to be so, \`npm run diagrams -- --record\``,
    );
    assert.deepEqual(essenceOf(await record(scene)), expected);
  });
