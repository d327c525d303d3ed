/** The sequences in diagrams/ tell what a real server does: each is recorded anew, and tells the same story. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { storedStory } from '../../src/cli/diagrams/all.ts';
import { essenceOf } from '../../src/cli/diagrams/recording/essence.ts';
import { record } from '../../src/cli/diagrams/recording/run.ts';
import { SCENES } from '../../src/cli/diagrams/recording/scenes.ts';

for (const [name, scene] of Object.entries(SCENES))
  test(`${name}: what is drawn is what happens`, async () => {
    assert.deepEqual(
      essenceOf(await record(scene)),
      essenceOf(storedStory(name)),
      'what was recorded is out of date: run `npm run diagrams -- --record`',
    );
  });
