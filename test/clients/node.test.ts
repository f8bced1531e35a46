import t from 'tap'
import { drive, installed, program } from './clients'
import type { Client } from './clients'

// Six programs, one after the other, take their time on a busy machine.
t.setTimeout(180_000)

function node (name: string): Client['run'] {
  return (proxy, urls) => proxy.exec(process.execPath, [program(name), ...urls])
}

drive(t, {
  name: 'Node fetch',
  // What this Node lacks no package can add.
  version: [process.execPath, '-e', `
    const [major, minor] = process.versions.node.split('.').map(Number)
    if (major > 24 || (major === 24 && minor >= 5) || (major === 22 && minor >= 21)) console.log(process.versions.node)
    else process.exit(1)`],
  from: 'reads the proxy variables since Node 22.21 and 24.5',
  schemes: ['http', 'https'],
  keepAlive: ['http', 'https'],
  run: node('get-fetch.mjs')
})

drive(t, {
  name: 'Node http and https, https-proxy-agent',
  version: [process.execPath, '-p', 'process.versions.node'],
  from: 'Node',
  schemes: ['http', 'https'],
  keepAlive: ['http', 'https'],
  run: node('get-node.mjs')
})

drive(t, {
  name: 'undici',
  version: installed('undici'),
  from: 'npm: undici',
  schemes: ['http', 'https', 'ws', 'wss'],
  keepAlive: ['http', 'https'],
  run: node('get-undici.mjs')
})

drive(t, {
  name: 'axios',
  version: installed('axios'),
  from: 'npm: axios',
  schemes: ['http', 'https'],
  // Where Node's own agent knows of proxies axios leaves tunnels to it; the agent of axios keeps none.
  keepAlive: process.allowedNodeEnvironmentFlags.has('--use-env-proxy') ? ['http', 'https'] : ['http'],
  run: node('get-axios.mjs')
})

drive(t, {
  name: 'got, https-proxy-agent',
  version: installed('got'),
  from: 'npm: got',
  schemes: ['http', 'https'],
  keepAlive: ['http', 'https'],
  run: node('get-got.mjs')
})

drive(t, {
  name: 'ws, https-proxy-agent',
  version: installed('ws'),
  from: 'npm: ws',
  schemes: ['ws', 'wss'],
  keepAlive: [],
  run: node('get-ws.mjs')
})
