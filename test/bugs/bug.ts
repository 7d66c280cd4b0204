import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** A known mistake, as a patch that puts it back. */
export interface Bug {
  readonly name: string;
  /** The patch, absolute. */
  readonly file: string;
  /** What the mistake is. */
  readonly bug: string;
  /** Who made it, and which promise it breaks. */
  readonly breaks: string;
  /** Test files, of which at least one test fails. */
  readonly tests: readonly string[];
  /** Which tests of these files; all of them where null. */
  readonly testName: string | null;
}

/** Every patch of a folder, by name. Throws on a header that is not complete. */
export function readBugs(dir: string): Bug[] {
  return readdirSync(dir)
    .filter((entry) => entry.endsWith('.patch'))
    .sort()
    .map((entry) => parseBug(join(dir, entry), entry.slice(0, -'.patch'.length)));
}

function parseBug(file: string, name: string): Bug {
  const [header = ''] = readFileSync(file, 'utf8').split(/^--- /m, 1);
  const read = (field: string) => {
    const value = new RegExp(`^${field}: (.+)$`, 'm').exec(header)?.[1]?.trim();
    if (value === undefined) throw new Error(`${name}.patch has no line "${field}: …" before its diff`);
    return value;
  };
  const caughtBy = /^([^"]+?)(?: -t "([^"]+)")?$/.exec(read('Caught-by'));
  if (caughtBy === null) throw new Error(`${name}.patch: Caught-by is not <test files> [-t "name"]`);
  return {
    name,
    file,
    bug: read('Bug'),
    breaks: read('Breaks'),
    tests: caughtBy[1]!.split(/\s+/),
    testName: caughtBy[2] ?? null,
  };
}

/** Applies a patch to a tree, or only checks that it applies; returns what git says against it, null where nothing. A repository around the tree is left aside. */
export function applyPatch(tree: string, file: string, isCheck = false): string | null {
  try {
    execFileSync('git', ['apply', ...(isCheck ? ['--check'] : []), file], {
      cwd: tree,
      env: { ...process.env, GIT_CEILING_DIRECTORIES: dirname(tree), GIT_DIR: undefined, GIT_WORK_TREE: undefined },
      stdio: ['ignore', 'ignore', 'pipe'],
      encoding: 'utf8',
    });
    return null;
  } catch (error) {
    return (error as { stderr?: string }).stderr?.trim() || String(error);
  }
}
