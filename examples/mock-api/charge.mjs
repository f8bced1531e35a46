/**
 * A program that knows nothing of mocks: it looks up an exchange rate at one HTTPS API and charges a card at another.
 * `node charge.mjs 100 EUR` charges what 100 euro are in dollars.
 */
import axios from 'axios'

const [amount, currency] = process.argv.slice(2)

const { data: { rates } } = await axios.get('https://api.frankfurter.dev/v1/latest', {
  params: { base: currency, symbols: 'USD' }
})
const cents = Math.round(Number(amount) * rates.USD * 100)

const order = new URLSearchParams({ amount: cents, currency: 'usd', source: 'tok_visa' })
const { data: charge } = await axios.post('https://api.stripe.com/v1/charges', order, {
  auth: { username: process.env.STRIPE_KEY ?? '', password: '' },
  validateStatus: null
})

if (charge.error) {
  console.error(`Not charged: ${charge.error.message}`)
  process.exitCode = 1
} else {
  console.log(`Charged ${charge.amount / 100} ${charge.currency}: ${charge.id}`)
}
