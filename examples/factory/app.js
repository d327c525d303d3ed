// A factory: a function with fewer than two parameters makes the app, and may take its time to do so.
import { setTimeout } from 'node:timers/promises';
import { onClose } from 'kirin';

async function connectToDatabase() {
  await setTimeout(20);
  return {
    greeting: async () => 'Hello from the database\n',
    end: async () => console.log('the database connection is closed'),
  };
}

export default async function createApp() {
  const database = await connectToDatabase();
  // Runs after the last answer, so that no request ever meets a closed connection.
  onClose(() => database.end());

  return async (_req, res) => {
    res.end(await database.greeting());
  };
}
