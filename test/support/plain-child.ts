/**
 * Starts programs with the `NODE_OPTIONS` that a test gives them. tap adds its own loader to those of every child, by
 * which Node starts a thread more, half a second later, and prints its warnings twice.
 *
 *   spawn(...plain(process.execPath, ['program.mjs']), { env })
 */
export function plain (file: string, args: readonly string[], nodeOptions = ''): [file: string, args: string[]] {
  return ['env', [`NODE_OPTIONS=${nodeOptions}`, file, ...args]]
}
