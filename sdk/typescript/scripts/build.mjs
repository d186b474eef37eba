// Compiles src to dist, as ES modules and as CommonJS. Where the compiler is missing, as when another project installs this folder, it is
// installed first.
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const tsc = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url));

function run(command, args, options) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

if (!existsSync(tsc)) {
  // npm's own settings for the project that is being installed do not hold for the compiler.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_config_(global|omit|only|production|prefix|local_prefix)$/i.test(name)));
  run('npm', ['ci', '--include=dev', '--ignore-scripts', '--no-audit', '--no-fund'], { env: { ...env, NODE_ENV: '' }, shell: process.platform === 'win32' });
}
rmSync(new URL('../dist', import.meta.url), { recursive: true, force: true });
for (const project of ['tsconfig.json', 'tsconfig.cjs.json']) run(process.execPath, [tsc, '-p', project]);
// The package is made of ES modules; its CommonJS half says otherwise of itself.
writeFileSync(new URL('../dist/cjs/package.json', import.meta.url), '{ "type": "commonjs" }\n');
