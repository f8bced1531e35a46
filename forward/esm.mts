/** The module for `import`: the same plugin that `require` gives, under the same names. */
import fastifyProxForward from './index.js'

export type * from '../types/forward.js'
export type * from '../types/net.js'
export default fastifyProxForward
export { fastifyProxForward }
