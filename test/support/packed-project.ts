// The package as people get it: packed from a copy of the working copy, installed by npm in a project outside of it, without a network, and used from there. What it depends on lies in
// the project already, copied from here: a dependency that package.json does not list is missing there.
import { execFile, execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { copyFiles, copyTree, listFiles, root } from '../bugs/tree.ts';

export interface PackedProject {
  /** A new folder, which holds the project and its tarball. */
  readonly dir: string;
  readonly project: string;
  /** Of a shell of somebody who has this Node.js and nothing of this working copy. */
  readonly env: Readonly<Record<string, string>>;
  readonly packedBytes: number;
  /** Runs a program in the project. Never throws: code, standard output and standard error. */
  run(
    program: string,
    args: readonly string[],
    env?: Readonly<Record<string, string>>,
  ): Promise<{ code: unknown; stdout: string; stderr: string }>;
  /** Runs the package's command in the project, in the same way. */
  crosswalk(args: readonly string[], env?: Readonly<Record<string, string>>): ReturnType<PackedProject['run']>;
  remove(): void;
}

/**
 * Packs and installs: in an empty project, or in a copy of a folder below examples/, of which package.json asks for the tarball two folders above. `packages`: development dependencies of
 * the project, and what they depend on.
 */
export function createPackedProject({
  example,
  packages = [],
}: {
  example?: string;
  packages?: readonly string[];
} = {}): PackedProject {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'crosswalk-package-')));
  const project = join(dir, example ?? 'project');
  const env = { PATH: [dirname(process.execPath), '/usr/bin', '/bin'].join(delimiter), HOME: dir };

  /** npm, which is where this run found it, and asks nobody anything. */
  const npm = (cwd: string, ...args: readonly string[]) => {
    const settings = {
      npm_config_offline: 'true',
      npm_config_update_notifier: 'false',
      npm_config_cache: join(dir, 'npm'),
    };
    execFileSync('npm', [...args, '--silent', '--no-audit', '--no-fund'], {
      cwd,
      env: { ...env, PATH: process.env.PATH, ...settings },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  };

  const tree = join(dir, 'tree');
  const files = listFiles();
  copyTree(files, root, tree);
  npm(tree, 'pack', '--pack-destination', dir);
  const tarball = join(dir, globSync('*.tgz', { cwd: dir })[0]!);
  if (example === undefined) {
    mkdirSync(project);
    writeFileSync(join(project, 'package.json'), '{ "name": "project", "private": true, "type": "module" }\n');
  } else
    copyFiles(
      files.filter((file) => file.startsWith(`${example}/`)),
      root,
      dir,
    );
  copyDependencies(project, new Set(packages));
  npm(project, 'install', '--ignore-scripts', ...(example === undefined ? [tarball] : []));
  // The copy is gone when the package is used: nothing in it may refer to where it was made.
  rmSync(tree, { recursive: true, force: true });

  const run: PackedProject['run'] = (program, args, more = {}) =>
    new Promise((done) => {
      execFile(
        program,
        args,
        { cwd: project, env: { ...env, ...more }, maxBuffer: 64 << 20 },
        (error, stdout, stderr) => done({ code: error === null ? 0 : error.code, stdout, stderr }),
      );
    });
  return {
    ...{ dir, project, env, run, packedBytes: statSync(tarball).size },
    crosswalk: (args, more) => run('node_modules/.bin/crosswalk', args, more),
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}

/** What package-lock.json lists for those who use the package, with the commands that npm makes of it: it would install anew what lacks its own. Some of it is for other platforms. */
function copyDependencies(project: string, others: ReadonlySet<string>): void {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; devOptional?: boolean; bin?: Record<string, string> }>;
  };
  const commands = join(project, 'node_modules/.bin');
  mkdirSync(commands, { recursive: true });
  for (const [path, { dev, devOptional, bin = {} }] of Object.entries(packages)) {
    const isOwn = !dev && !devOptional;
    if (!/^node_modules\/(?!.*node_modules)/.test(path) || !existsSync(join(root, path))) continue;
    if (!isOwn && !others.has(path.slice('node_modules/'.length))) continue;
    cpSync(join(root, path), join(project, path), { recursive: true });
    for (const [name, file] of Object.entries(bin)) symlinkSync(join('../..', path, file), join(commands, name));
  }
}
