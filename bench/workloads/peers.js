/** The contenders of most workloads: bare Fastify, the plugin, and the peers that are installed. */
import { spawnSync } from 'node:child_process'

const hasMitmproxy = spawnSync('mitmdump', ['--version'], { stdio: 'ignore' }).status === 0

export const ALL = ['fastify', 'fastify-prox', 'mockttp', 'http-mitm-proxy', ...(hasMitmproxy ? ['mitmproxy'] : [])]

/** With the least that a tunnel can cost. */
export const TUNNELLED = [ALL[0], { module: 'fastify-connect', label: 'CONNECT and TLS alone' }, ...ALL.slice(1)]

/** What a table says of the peers that are not installed. */
export const ABSENT = hasMitmproxy ? {} : { mitmproxy: 'is not installed; Debian: mitmproxy' }
