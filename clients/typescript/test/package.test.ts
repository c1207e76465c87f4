/** The package as a project gets it: its files, its types, its README, and what a browser's bundle needs. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const run = promisify(execFile);
const here = fileURLToPath(new URL("../..", import.meta.url));
const readme = await readFile(join(here, "README.md"), "utf8");
let directory: string;
let packed: { path: string }[];

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "till-"));
  const options = { cwd: here };
  const { stdout } = await run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", directory], options);
  const [{ filename, files }] = JSON.parse(stdout);
  packed = files;
  await project("browser", ["@bufbuild/protobuf", "@connectrpc/connect", "@connectrpc/connect-web"], filename);
  const all = ["@bufbuild", "@connectrpc", "@types", "express", "undici-types"];
  await project("node", all, filename);
});

after(() => rm(directory, { recursive: true }));

async function project(name: string, dependencies: string[], tarball: string): Promise<void> {
  const modules = join(directory, name, "node_modules");
  const target = join(modules, "lightning-till-client");
  await mkdir(target, { recursive: true });
  await run("tar", ["-xzf", join(directory, tarball), "-C", target, "--strip-components=1"]);
  for (const dependency of dependencies) {
    await mkdir(join(modules, dependency, ".."), { recursive: true });
    await symlink(join(here, "node_modules", dependency), join(modules, dependency));
  }
  await writeFile(join(directory, name, "package.json"), '{"type":"module"}');
}

async function checkTypes(name: string, ...options: string[]): Promise<void> {
  const strict = ["--noEmit", "--strict", "--target", "es2022", "--preserveSymlinks"];
  const files = name === "browser" ? ["page.ts"] : snippets.map((_, index) => `snippet${index}.ts`);
  const tsc = join(here, "node_modules/.bin/tsc");
  await run(tsc, [...strict, ...options, ...files], { cwd: join(directory, name) }).catch(({ stdout }) => assert.fail(stdout));
}

const snippets = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, text]) => text!);
const page = `
  import { connect, type Invoice } from "lightning-till-client/web";
  for await (const invoice of connect("https://till.example", { key: "watch_1" }).watch({ invoiceId: "one" })) {
    const each: Invoice = invoice;
    console.log(each.status);
  }
`;

test("it has its code, its types and its sources, and nothing else", () => {
  const paths = packed.map(({ path }) => path);
  const expected = /^(LICENSE|README\.md|package\.json|src\/.+\.ts|dist\/src\/.+\.(js|js\.map|d\.ts))$/;

  assert.deepEqual(paths.filter((path) => !expected.test(path)), []);
  for (const module of ["index", "node", "web"]) {
    assert(paths.includes(`dist/src/${module}.js`) && paths.includes(`dist/src/${module}.d.ts`));
  }
});

for (const resolution of [["nodenext", "node16"], ["esnext", "bundler"]] as const) {
  const [module, moduleResolution] = resolution;

  test(`the README's programs and a page compile with moduleResolution ${moduleResolution}`, async () => {
    const options = ["--module", module === "nodenext" ? "node16" : module, "--moduleResolution", moduleResolution];
    for (const [index, text] of snippets.entries()) await writeFile(join(directory, "node", `snippet${index}.ts`), text);
    await writeFile(join(directory, "browser", "page.ts"), page);

    await checkTypes("node", ...options, "--types", "node", "--lib", "es2022,dom,dom.iterable");
    await checkTypes("browser", ...options, "--types", "", "--lib", "es2022,dom,dom.iterable");
  });
}

test("a browser's bundle needs no module of Node.js, and has the size that the README says", async () => {
  const { outputFiles } = await build({
    stdin: { contents: page, loader: "ts", resolveDir: join(directory, "browser") },
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    preserveSymlinks: true,
    write: false,
  });
  const kib = gzipSync(outputFiles[0]!.contents).length / 1024;

  const said = Number(/adds (\d+) KiB/.exec(readme)?.[1]);
  assert(Math.abs(kib - said) < 1, `README says ${said} KiB, but the bundle has ${kib.toFixed(1)} KiB`);
});
