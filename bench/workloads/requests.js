/** Requests on connections that are open already. */
import { end, openPlain, openTls } from '../client/connect.js'
import * as http1 from '../client/http1.js'
import * as http2 from '../client/http2.js'
import * as websocket from '../client/websocket.js'
import { ABSENT, ALL, TUNNELLED } from './peers.js'

const CONNECTIONS = 16
/** HTTP/2 connections, and requests at a time on each. */
const SESSIONS = 4
const STREAMS = 4

async function total (promises) {
  return (await Promise.all(promises)).reduce((sum, count) => sum + count)
}

function open (count, connect) {
  return Promise.all(Array.from({ length: count }, connect))
}

const sockets = {
  dispose: (sockets) => Promise.all(sockets.map(end))
}

export const keepAlive = {
  name: 'keep-alive',
  title: 'Keep-alive requests in tunnels, HTTP/1.1',
  unit: 'request',
  goal: 0.95,
  options: { https: true },
  contenders: TUNNELLED,
  absent: ABSENT,
  prepare: (contender) => open(CONNECTIONS, () => openTls(contender)),
  run: (sockets, until) => total(sockets.map((socket) => http1.repeat(socket, http1.GET, until))),
  ...sockets
}

export const http2KeepAlive = {
  name: 'http2',
  title: 'Keep-alive requests in tunnels, HTTP/2',
  unit: 'request',
  options: { https: true, http2: true },
  contenders: ALL.filter((name) => name !== 'http-mitm-proxy'),
  absent: { 'http-mitm-proxy': 'speaks no HTTP/2', ...ABSENT },
  prepare: (contender) => open(SESSIONS, async () => http2.openSession(await openTls(contender, { alpn: 'h2' }))),
  run: (sessions, until) => total(sessions.flatMap((session) =>
    Array.from({ length: STREAMS }, () => http2.repeat(session, until)))),
  dispose: (sessions) => Promise.all(sessions.map((session) => new Promise((resolve) => session.close(resolve))))
}

export const absoluteForm = {
  name: 'absolute-form',
  title: 'Absolute-form requests, against bare Fastify over HTTP',
  unit: 'request',
  goal: 1.08,
  options: { https: false },
  contenders: ALL,
  absent: ABSENT,
  async prepare (contender) {
    const request = contender.proxy ? http1.GET_ABSOLUTE : http1.GET
    return { request, sockets: await open(CONNECTIONS, () => openPlain(contender)) }
  },
  run: ({ request, sockets }, until) => total(sockets.map((socket) => http1.repeat(socket, request, until))),
  dispose: ({ sockets }) => Promise.all(sockets.map(end))
}

export const notProxied = {
  name: 'not-proxied',
  /** The difference that is asked for is the smallest of all. */
  rounds: 2,
  title: 'Requests that are not proxied, with and without the plugin, over HTTP',
  unit: 'request',
  goal: 1.02,
  options: { https: false },
  contenders: ['fastify', 'fastify-prox'],
  absent: { mockttp: 'is no plugin', 'http-mitm-proxy': 'is no plugin' },
  prepare: (contender) => open(CONNECTIONS, () => openPlain(contender)),
  run: (sockets, until) => total(sockets.map((socket) => http1.repeat(socket, http1.GET, until))),
  ...sockets
}

export const webSocketEcho = {
  name: 'wss-echo',
  title: 'WebSocket echo in tunnels',
  unit: 'message',
  goal: 1.0,
  options: { https: true, websockets: true },
  contenders: TUNNELLED.slice(0, 4),
  absent: { 'http-mitm-proxy': 'answers no WebSocket without an upstream' },
  prepare: (contender) => open(CONNECTIONS, async () => {
    const socket = await openTls(contender)
    await websocket.openWebSocket(socket)
    return socket
  }),
  run: (sockets, until) => total(sockets.map((socket) => websocket.repeat(socket, until))),
  dispose (sockets) { for (const socket of sockets) socket.destroy() }
}
