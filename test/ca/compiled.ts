/** JavaScript of some rooms, for child processes that should not spend seconds on loading TypeScript. */
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ModuleKind, ScriptTarget, transpileModule } from 'typescript'

const ROOT = join(__dirname, '..', '..')

/**
 * Compiles the errors and some rooms, directories of the repository, to below a directory, where each file has the
 * path that it has in the repository. The directory has to be in the repository too, for the sake of dependencies.
 */
export function compileRooms (directory: string, ...rooms: string[]): void {
  const sources = rooms.flatMap(room => readdirSync(join(ROOT, room)).map(name => join(room, name)))
  for (const source of [join('plugin', 'errors.ts'), ...sources]) {
    const { outputText } = transpileModule(readFileSync(join(ROOT, source), 'utf8'), {
      compilerOptions: { module: ModuleKind.CommonJS, target: ScriptTarget.ES2022, esModuleInterop: true }
    })
    const target = join(directory, source.replace(/\.ts$/, '.js'))
    mkdirSync(dirname(target), { recursive: true })
    writeFileSync(target, outputText)
  }
}
