/**
 * Leads the requests of a Node program to the proxy that its environment names. `proxyEnv` has Node load this file
 * before the program, by `NODE_OPTIONS`.
 *
 * With NODE_USE_ENV_PROXY=1 Node itself does so from 22.21 and 24.5 on, but for `fetch` and its two global agents
 * alone: a program that makes an `http.Agent` of its own, as many API clients do, would go to the real network without
 * a word. And earlier versions do not read the variable at all. So this file leads every agent that connects in Node's
 * own way and, where Node does not, `fetch` and what else uses the global dispatcher of undici.
 */
'use strict'
const http = require('node:http')
const https = require('node:https')
const { isIP } = require('node:net')

/** Where each copy of undici, Node's own too, looks for its global dispatcher: up to version 7, and from 8 on. */
const GLOBAL_DISPATCHERS = [Symbol.for('undici.globalDispatcher.1'), Symbol.for('undici.globalDispatcher.2')]

// Deno loads this file as well, reads the proxy variables itself, and asks before it shows them to a program.
if (!('Deno' in globalThis) && process.env.NODE_USE_ENV_PROXY === '1') {
  leadAgents(http, 'http:')
  leadAgents(https, 'https:')
  leadFetch()
  hideNotice()
}

function variable (name) {
  return process.env[name.toLowerCase()] || process.env[name]
}

/** The URL of the proxy for a host, or `null`: none, or the host is excepted, or it is the proxy itself. */
function proxyFor (protocol, host, port) {
  const url = (protocol === 'https:' && variable('HTTPS_PROXY')) || variable('HTTP_PROXY')
  if (!url || isExcepted(host, port)) return null
  const proxy = new URL(url)
  return hostOf(proxy) === host && portOf(proxy) === port ? null : proxy
}

/** Whether NO_PROXY names a host, as Node reads it: `*`, `name`, `.suffix` or `*.suffix`, with or without `:port`. */
function isExcepted (host, port) {
  return (variable('NO_PROXY') || '').toLowerCase().split(/[\s,]+/).some((entry) => {
    const [, name, only] = /^([^:]*|\[.*\]):(\d+)$/.exec(entry) || [null, entry, String(port)]
    if (name === '' || only !== String(port)) return false
    if (/^\*?\./.test(name)) return host.endsWith(name.replace('*', ''))
    return name === '*' || name.replace(/[[\]]/g, '') === host
  })
}

function hostOf (url) {
  return url.hostname.replace(/[[\]]/g, '')
}

function portOf (url) {
  return Number(url.port || (url.protocol === 'https:' ? 443 : 80))
}

/** Has the agents of a module connect by tunnels, unless they have a way of their own. */
function leadAgents ({ Agent }, protocol) {
  const { createConnection } = Agent.prototype
  Agent.prototype.createConnection = function (...args) {
    const [options, callback] = args
    // With the option `proxyEnv` Node knows the proxy itself, as it does with its global agents.
    const isOurs = typeof callback === 'function' && !options.socket && !options.socketPath && !this.options.proxyEnv
    const proxy = isOurs ? proxyFor(protocol, options.host.toLowerCase(), Number(options.port)) : null
    if (proxy === null) return createConnection.apply(this, args)
    const wrap = (socket) => {
      return protocol === 'https:' ? createConnection.call(this, { ...options, socket }) : socket
    }
    openTunnel(proxy, options).then((socket) => callback(null, wrap(socket)), callback)
  }
}

function openTunnel (proxy, { host, port }) {
  const authority = `${host.includes(':') ? `[${host}]` : host}:${port}`
  const headers = { host: authority }
  if (proxy.username !== '') {
    const credentials = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`
    headers['proxy-authorization'] = `Basic ${Buffer.from(credentials).toString('base64')}`
  }
  return new Promise((resolve, reject) => {
    const { request } = proxy.protocol === 'https:' ? https : http
    const [name, port] = [hostOf(proxy), portOf(proxy)]
    // By TLS the proxy is who it is, not the host of the field.
    const servername = isIP(name) === 0 ? name : ''
    request({ method: 'CONNECT', host: name, port, servername, path: authority, headers, agent: false })
      .once('error', reject)
      // Servers of HTTP and of TLS say nothing before they are spoken to: there is nothing behind the response.
      .once('connect', ({ statusCode }, socket) => {
        if (statusCode !== 200) {
          socket.destroy()
          return reject(new Error(`The proxy answered ${statusCode} to CONNECT ${authority}`))
        }
        resolve(socket)
      })
      .end()
  })
}

/**
 * Sets the global dispatcher to one that is made when it is needed, since loading undici takes time. A Node that reads
 * the proxy variables sets its own afterwards.
 */
function leadFetch () {
  let made
  const dispatcher = new Proxy({}, {
    get (target, name) {
      made ??= makeDispatcher()
      return typeof made[name] === 'function' ? made[name].bind(made) : made[name]
    }
  })
  for (const symbol of GLOBAL_DISPATCHERS) {
    Object.defineProperty(globalThis, symbol, { value: dispatcher, writable: true })
  }
}

function makeDispatcher () {
  try {
    const { EnvHttpProxyAgent, Dispatcher1Wrapper } = require('undici')
    const dispatcher = new EnvHttpProxyAgent()
    // Undici 8 knows by itself no more what earlier versions, Node's among them, hand to a dispatcher.
    return Dispatcher1Wrapper === undefined ? dispatcher : new Dispatcher1Wrapper(dispatcher)
  } catch (cause) {
    return {
      dispatch () {
        throw new Error('fastify-prox: nothing was sent, since it would have gone past the proxy: ' +
          `Node ${process.versions.node} needs undici for it, and undici cannot be loaded. ` +
          'Install undici@7 beside fastify-prox, or use Node 24.5 or later', { cause })
      },
      async close () {},
      async destroy () {}
    }
  }
}

/**
 * Keeps the warning from a program's output by which Node 22 and undici 7 tell that their reading of the proxy
 * variables is experimental: the program has not asked for it, `proxyEnv` has.
 */
function hideNotice () {
  const { emit } = process
  process.emit = function (...args) {
    const [event, warning] = args
    return event === 'warning' && warning?.code === 'UNDICI-EHPA' ? false : emit.apply(this, args)
  }
}
