/** What the running Node has to have is checked when the plugin is registered. */
import t from 'tap'
import { assertSupported } from '../../plugin/compat/supported'

t.test('this Node has all that is relied on', async (t) => {
  t.doesNotThrow(() => assertSupported())
})

t.test('what is missing is named', async (t) => {
  t.throws(() => assertSupported({ 'net.Socket: _httpMessage': () => true, 'net.Socket: _peername': () => false }), {
    code: 'FST_PROX_UNSUPPORTED_NODE',
    message: `fastify-prox cannot work with Node.js ${process.version}, which lacks net.Socket: _peername`
  })
})
