/** Name constraints: what they say, and that OpenSSL reads them as we do. */
import t from 'tap'
import {
  UNCONSTRAINED, constraintsOf, decodeConstraints, describeConstraints, encodeConstraints, permits
} from '../../plugin/ca/constraints'
import { CertificateAuthority } from '../../plugin/ca/authority'
import { implicit, octets, oid, sequence, tagged } from './asn1'
import { authorityExtensions, selfSigned } from './bundles'

t.test('a name permits everything under it', async (t) => {
  for (const permit of ['.test', 'test', 'TEST.']) {
    const constraints = constraintsOf([permit])
    for (const name of ['test', 'a.test', '*.a.test', 'a.b.test']) t.ok(permits(constraints, name), name)
    for (const name of ['attest', 'example.com', 'test.com', '127.0.0.1', '::1']) {
      t.notOk(
        permits(constraints, name), name
      )
    }
  }
})

t.test('a network permits the addresses in it', async (t) => {
  const constraints = constraintsOf(['10.1.2.3/9', '127.0.0.1'])
  for (const name of ['10.0.0.0', '10.127.255.255', '127.0.0.1']) t.ok(permits(constraints, name), name)
  for (const name of ['10.128.0.0', '127.0.0.2', '::1', 'localhost', '*.example.com']) {
    t.notOk(
      permits(constraints, name), name
    )
  }
  const six = constraintsOf(['[2001:db8::]/33', '::1', 'example.com'])
  for (const name of ['2001:db8:7fff::1', '::1', 'www.example.com']) t.ok(permits(six, name), name)
  for (const name of ['2001:db8:8000::1', '10.0.0.1', '::2', 'example.org']) t.notOk(permits(six, name), name)
  t.ok(permits(constraintsOf(['0.0.0.0/0']), '192.0.2.1'))
})

t.test('without constraints everything is permitted', async (t) => {
  for (const name of ['example.com', '*.a.test', '127.0.0.1', '::1']) t.ok(permits(UNCONSTRAINED, name), name)
})

t.test('what is neither a name nor a network is refused', async (t) => {
  for (const permit of [
    '', '.', 'a b', '*.test', 'test/8', '10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/x', '::/129', '10.0.0.0/1.5'
  ]) {
    t.throws(() => constraintsOf([permit]), permit)
  }
})

t.test('constraints survive the way through a certificate', async (t) => {
  for (const list of [['.test'], ['10.0.0.0/8', '::1'], ['example.com', '127.0.0.1', 'localhost']]) {
    const constraints = constraintsOf(list)
    t.same(decodeConstraints(encodeConstraints(constraints)), constraints)
  }
})

t.test('constraints of others are read too', async (t) => {
  const directoryName = tagged(4, sequence())
  const dotted = decodeConstraints(sequence(
    tagged(0, sequence(implicit(2, '.Example.com'), implicit(0, Buffer.from([3]))), sequence(directoryName))))
  t.ok(permits(dotted, 'www.example.com'))
  t.notOk(permits(dotted, 'example.com'), 'with a leading dot the name itself is out')
  t.ok(permits(dotted, '127.0.0.1'), 'addresses are free where no entry is about them')
  const excluded = decodeConstraints(sequence(tagged(1, sequence(implicit(2, 'example.com')))))
  t.notOk(permits(excluded, 'www.example.com'))
  t.ok(permits(excluded, 'example.org'))
  t.same(decodeConstraints(sequence()), UNCONSTRAINED)
  t.throws(() => decodeConstraints(Buffer.from([1])))
})

t.test('a wildcard does not sign what is excluded below its base', async (t) => {
  for (const name of ['bad.example.com', '.bad.example.com', 'a.bad.example.com']) {
    const constraints = decodeConstraints(sequence(tagged(1, sequence(implicit(2, name)))))
    t.notOk(permits(constraints, '*.example.com'), name)
    for (const other of ['example.com', 'good.example.com', '*.example.org', '*.badexample.com', '*.com.example.com']) {
      t.ok(permits(constraints, other), `${other} beside ${name}`)
    }
  }
  const exclude = sequence(oid('2.5.29.30'), octets(sequence(tagged(1, sequence(implicit(2, 'bad.example.com'))))))
  const pair = selfSigned({ extensions: (key) => [...authorityExtensions(key), exclude] })
  const authority = await CertificateAuthority.load(pair)
  t.same((await authority.leaf('good.example.com')).names, ['good.example.com'])
  t.same((await authority.leaf('example.com')).names, ['example.com'])
  t.same((await authority.leaf('a_b.example.com')).names, ['example.com', 'a_b.example.com'])
  t.same((await authority.leaf('www.example.org')).names, ['example.org', '*.example.org'])
  await t.rejects(authority.certificate('bad.example.com'), { code: 'FST_PROX_HOST_NOT_PERMITTED' })
  await t.rejects(authority.certificate('a.bad.example.com'), { code: 'FST_PROX_HOST_NOT_PERMITTED' })
})

t.test('constraints are described as the option permit writes them', async (t) => {
  t.strictSame(describeConstraints(constraintsOf(['.test', 'TEST.example'])), {
    permit: ['test', 'test.example'], exclude: ['0.0.0.0/0', '::/0']
  })
  t.strictSame(describeConstraints(constraintsOf(['10.0.0.0/8', '127.0.0.1', '2001:db8::/33', '::1'])), {
    permit: ['10.0.0.0/8', '127.0.0.1/32', '2001:db8::/33', '::1/128'], exclude: ['all DNS names']
  })
  t.strictSame(describeConstraints(UNCONSTRAINED), { permit: [], exclude: [] })
})
