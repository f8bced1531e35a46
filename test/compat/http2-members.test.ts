/** Express and its middleware in front of routes that are asked over HTTP/2. */
import { Readable } from 'node:stream'
import express from '@fastify/express'
import Fastify from 'fastify'
import t from 'tap'
import { ask, listen } from './http2-support'

t.test('Express and its routes answer over HTTP/2', async (t) => {
  const server = await listen(t, async (app) => {
    await app.register(express)
    app.use((request, response, next) => {
      response.setHeader('x-seen', request.get('x-a') ?? '')
      next()
    })
    app.use('/json', ({ query, ip, path, protocol, headers }, response) => {
      response.status(201).json({ query, ip, path, protocol, host: headers.host })
    })
    app.use('/send', (_request, response) => { response.set('connection', 'close').send('sent') })
    app.use('/pipe', (_request, response) => { Readable.from(['a', 'b']).pipe(response) })
    app.use('/redirect', (_request, response) => { response.redirect('/elsewhere') })
    app.use('/error', () => { throw new Error('bad') })
    app.get('/', async ({ ip, url }) => ({ ip, url }))
    app.post('/', async ({ body }) => body)
  }, { limits: { express: true } })
  const session = await server.client()
  const get = async (path: string, method = 'GET') => {
    return await ask(session, { ':path': path, ':method': method, ':authority': 'a.test', 'x-a': 'seen' })
  }
  t.match(await get('/'), { status: 200, headers: { 'x-seen': 'seen' }, body: '{"ip":"127.0.0.1","url":"/"}' })
  t.match(JSON.parse((await get('/json?a=1')).body), {
    query: { a: '1' }, ip: '127.0.0.1', protocol: 'http', host: 'a.test'
  })
  t.match(await get('/send'), { status: 200, body: 'sent' })
  t.match(await get('/send', 'HEAD'), { status: 200, headers: { 'content-length': '4' }, body: '' })
  t.match(await get('/pipe'), { body: 'ab' })
  t.match(await get('/redirect'), { status: 302, headers: { location: '/elsewhere' } })
  t.equal((await get('/error')).status, 500)
  const post = { ':method': 'POST', 'content-type': 'application/json' }
  t.match(await ask(session, post, '{"a":1}'), { status: 200, body: '{"a":1}' })
  await t.rejects(ask(session, { ...post, 'content-length': 8 }, '{"a":1}'))
  t.equal((await get('/send')).status, 200)
})

t.test('without Express nothing changes', async (t) => {
  t.equal(Fastify().hasDecorator('express'), false)
  const server = await listen(t, () => {}, {
    accepted: ({ request, response }) => {
      t.strictSame([Object.hasOwn(request, 'url'), Object.hasOwn(response, 'end')], [false, false])
      response.end()
    }
  })
  await ask(await server.client())
})
