/** The script of each stage of a start, by the stage's name; put in by the build. */
declare const KIRIN_STAGE_FILES: Readonly<Record<string, string>>;

export const STAGE_FILES = KIRIN_STAGE_FILES;
