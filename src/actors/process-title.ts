/** What a process is called in `ps` and `top`; an app may give itself another. Runs in every process of a server. */
export const titleOf = (role: string, name: string): string => `kirin: ${role} [${name}]`;
