import { join } from 'node:path'
import t from 'tap'
import { command, drive, program } from './clients'

// They take their time on a busy machine.
t.setTimeout(180_000)

drive(t, {
  name: 'Deno',
  version: [command('deno'), '--version'],
  from: 'npm: deno',
  schemes: ['http', 'https', 'ws', 'wss'],
  keepAlive: ['http', 'https'],
  run: (proxy, urls) => {
    const args = ['run', '--no-config', '--allow-net', program('get-web.mjs'), ...urls]
    return proxy.exec(command('deno'), args, { DENO_DIR: join(proxy.directory, 'deno'), DENO_NO_UPDATE_CHECK: '1' })
  }
})

drive(t, {
  name: 'Bun',
  version: [command('bun'), '--version'],
  from: 'npm: bun',
  schemes: ['http', 'https', 'ws', 'wss'],
  keepAlive: ['http', 'https'],
  run: (proxy, urls) => proxy.exec(command('bun'), [program('get-web.mjs'), ...urls])
})
