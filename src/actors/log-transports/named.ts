/** The log transports that settings name. Runs in the arbiter; whoever has none loads nothing. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Settings } from '../../settings.ts';
import { isPackage, moduleFile, startDirectory } from '../app-path.ts';
import type { LogTransport } from './transport.ts';
import type { ThreadData } from './words.ts';

type Told = Pick<Settings, 'logTransports' | 'chdir'>;

/** The first that is neither a file nor a package, and where it was looked for. */
export function missingTransport({
  logTransports,
  chdir,
}: Told): { module: string; directory: string } | undefined {
  const directory = chdir ?? startDirectory();
  const module = logTransports.find((one) => !moduleFile(one, directory) && !isPackage(one, directory));
  return module === undefined ? undefined : { module, directory };
}

/** Resolves when all are loaded. Throws FaultError `settings.invalid` where one cannot be. */
export async function transportsOf(
  { logTransports, chdir }: Told,
  notice: (text: string) => void,
): Promise<LogTransport[]> {
  if (logTransports.length === 0) return [];
  const { LogTransport: Made } = await import('./transport.ts');
  const directory = chdir ?? startDirectory();
  const transports = logTransports.map((module) => {
    const file = moduleFile(module, directory);
    const data: ThreadData = {
      module,
      url: file && pathToFileURL(file).href,
      from: pathToFileURL(join(directory, 'kirin')).href,
    };
    return new Made({ ...data, notice });
  });
  await Promise.all(transports.map((transport) => transport.open()));
  return transports;
}
