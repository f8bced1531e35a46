/** The routes that bare Fastify and fastify-prox both answer with. */
import { Readable } from 'node:stream'
import websocket from '@fastify/websocket'
import { BLOCK, BODY, CONTENT_TYPE, TRANSFER } from '../payload.js'

/**
 * @param {import('fastify').FastifyInstance} app
 * @param {string} wildcard where every other URL leads
 * @param {string} origin what stands before the path in the URL of a route, with colons doubled
 * @param {boolean} websockets
 */
export async function addRoutes (app, wildcard, origin, websockets) {
  app.get(`${wildcard}*`, answer)

  app.get(`${origin}/down`, (request, reply) => {
    const body = Readable.from(blocks(), { objectMode: false, highWaterMark: BLOCK.length })
    reply.header('content-length', TRANSFER).type('application/octet-stream').send(body)
  })

  app.addContentTypeParser('application/octet-stream', (request, payload, done) => done(null, payload))
  app.post(`${origin}/up`, { bodyLimit: TRANSFER }, (request, reply) => {
    let received = 0
    request.body.on('data', (chunk) => { received += chunk.length })
    request.body.on('end', () => reply.send({ received }))
  })

  if (!websockets) return
  await app.register(websocket)
  app.register(async (child) => {
    child.get(`${origin}/echo`, { websocket: true }, (socket) => {
      socket.on('message', (data, binary) => socket.send(data, { binary }))
    })
  })
}

export function answer (request, reply) {
  reply.type(CONTENT_TYPE).send(BODY)
}

function * blocks () {
  for (let sent = 0; sent < TRANSFER; sent += BLOCK.length) yield BLOCK
}
