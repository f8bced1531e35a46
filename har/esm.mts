/** The module for `import`: the same plugin that `require` gives, under the same names. */
import fastifyProxHar from './index.js'

export type * from '../types/har.js'
export default fastifyProxHar
export { fastifyProxHar }
