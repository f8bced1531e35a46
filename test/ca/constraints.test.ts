/** Name constraints: what they say, and that OpenSSL reads them as we do. */
import t from 'tap'
import { UNCONSTRAINED, constraintsOf, decodeConstraints, encodeConstraints, permits } from '../../plugin/ca/constraints'
import { encode, implicit, integer, sequence, tagged } from '../../plugin/ca/der'

t.test('a name with everything under it', async (t) => {
  for (const permit of ['.test', 'test', 'TEST.']) {
    const constraints = constraintsOf([permit])
    for (const name of ['test', 'a.test', '*.a.test', 'a.b.test']) t.ok(permits(constraints, name), name)
    for (const name of ['attest', 'example.com', 'test.com', '127.0.0.1', '::1']) t.notOk(permits(constraints, name), name)
  }
})

t.test('addresses and networks', async (t) => {
  const constraints = constraintsOf(['10.1.2.3/9', '127.0.0.1'])
  for (const name of ['10.0.0.0', '10.127.255.255', '127.0.0.1']) t.ok(permits(constraints, name), name)
  for (const name of ['10.128.0.0', '127.0.0.2', '::1', 'localhost', '*.example.com']) t.notOk(permits(constraints, name), name)
  const six = constraintsOf(['[2001:db8::]/33', '::1', 'example.com'])
  for (const name of ['2001:db8:7fff::1', '::1', 'www.example.com']) t.ok(permits(six, name), name)
  for (const name of ['2001:db8:8000::1', '10.0.0.1', '::2', 'example.org']) t.notOk(permits(six, name), name)
  t.ok(permits(constraintsOf(['0.0.0.0/0']), '192.0.2.1'))
})

t.test('without constraints everything is permitted', async (t) => {
  for (const name of ['example.com', '*.a.test', '127.0.0.1', '::1']) t.ok(permits(UNCONSTRAINED, name), name)
})

t.test('what is neither a name nor a network is refused', async (t) => {
  for (const permit of ['', '.', 'a b', '*.test', 'test/8', '10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/x', '::/129', '10.0.0.0/1.5']) {
    t.throws(() => constraintsOf([permit]), permit)
  }
})

t.test('they survive the way through a certificate', async (t) => {
  for (const list of [['.test'], ['10.0.0.0/8', '::1'], ['example.com', '127.0.0.1', 'localhost']]) {
    const constraints = constraintsOf(list)
    t.same(decodeConstraints(encodeConstraints(constraints)), constraints)
  }
})

t.test('constraints of others are read too', async (t) => {
  const directoryName = tagged(4, sequence())
  const dotted = decodeConstraints(encode(sequence(
    tagged(0, sequence(implicit(2, '.Example.com'), implicit(0, Buffer.from([3]))), sequence(directoryName)))))
  t.ok(permits(dotted, 'www.example.com'))
  t.notOk(permits(dotted, 'example.com'), 'with a leading dot the name itself is out')
  t.ok(permits(dotted, '127.0.0.1'), 'addresses are free where no entry is about them')
  const excluded = decodeConstraints(encode(sequence(tagged(1, sequence(implicit(2, 'example.com'))))))
  t.notOk(permits(excluded, 'www.example.com'))
  t.ok(permits(excluded, 'example.org'))
  t.same(decodeConstraints(encode(sequence())), UNCONSTRAINED)
  t.throws(() => decodeConstraints(encode(integer(1)).subarray(1)))
})
