/** The package for `import`: the same module that `require` gives, under the same names. */
import fastifyProx from './index.js'

export type * from '../types/ca.js'
export type * from '../types/options.js'
export type * from '../types/clients.js'
export type * from '../types/request.js'
export default fastifyProx
export { fastifyProx }
export const { CertificateAuthority, fixedResolver, proxyAuthResolver } = fastifyProx
export type CertificateAuthority = fastifyProx.CertificateAuthority
