/** Compiles the package's sources, for child processes that should not spend seconds on loading TypeScript. */
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ModuleKind, ScriptTarget, transpileModule } from 'typescript'

const ROOT = join(__dirname, '..', '..')

/**
 * Compiles the plugin and the command to below a directory, where each file has the path that it has in the repository.
 * The directory has to be in the repository too, for the sake of dependencies.
 */
export function compileTo (directory: string): void {
  const sources = ['plugin', 'cli'].flatMap((folder) => readdirSync(join(ROOT, folder), { recursive: true })
    .map((name) => join(folder, String(name))))
  for (const source of sources.filter((name) => name.endsWith('.ts'))) {
    const { outputText } = transpileModule(readFileSync(join(ROOT, source), 'utf8'), {
      compilerOptions: { module: ModuleKind.CommonJS, target: ScriptTarget.ES2022, esModuleInterop: true }
    })
    const target = join(directory, source.replace(/\.ts$/, '.js'))
    mkdirSync(dirname(target), { recursive: true })
    writeFileSync(target, outputText)
  }
}
