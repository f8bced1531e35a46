import t from 'tap'
import { drive, installed, program } from './clients'
import type { Client } from './clients'

// So many programs, one after the other, take their time on a busy machine.
t.setTimeout(180_000)

function node (name: string): Client['run'] {
  return (proxy, urls) => proxy.exec(process.execPath, [program(name), ...urls])
}

drive(t, {
  name: 'Node fetch',
  version: [process.execPath, '-p', 'process.versions.node'],
  from: 'Node',
  schemes: ['http', 'https'],
  keepAlive: ['http', 'https'],
  run: node('get-fetch.mjs')
})

drive(t, {
  name: 'Node http and https, agents of their own',
  version: [process.execPath, '-p', 'process.versions.node'],
  from: 'Node',
  schemes: ['http', 'https'],
  keepAlive: ['http', 'https'],
  run: node('get-agent.mjs')
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

drive(t, {
  name: 'grpc-js',
  version: installed('@grpc/grpc-js'),
  from: 'npm: @grpc/grpc-js',
  schemes: ['https'],
  keepAlive: ['https'],
  urls: [1, 2, 3].map((n) => `https://grpc.test/test.Service/Get${n}`),
  run: node('get-grpc.mjs')
})
