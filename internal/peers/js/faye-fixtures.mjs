// What of docs/FIXTURES.md an extension of Faye can do: refuse, with CometD's texts, and publish.
const base = '/fixture/'
const services = '/service/fixture/'
const mostMillis = 60_000
const mostMessages = 1000
const byPolicy = 'denied_by_security_policy'
const notGranted = 'denied_by_not_granting'

export function install(bayeux) {
  const client = bayeux.getClient()
  bayeux.addExtension({
    incoming(message, done) {
      if (message.channel === '/meta/handshake' && message.ext?.fixture?.deny === true) {
        message.error = '403::handshake_denied'
      } else if (message.channel === '/meta/subscribe') {
        const refused = [message.subscription].flat().map((channel) => reason(channel, 'subscribe')).find(Boolean)
        if (refused) message.error = `403:${refused}:subscribe_denied`
      } else if (!message.channel?.startsWith('/meta/') && message.successful === undefined) {
        published(client, message)
      }
      done(message)
    },
    outgoing(message, done) {
      done(message.channel === `${base}extension/noreply` && message.successful !== undefined ? null : message)
    },
  })
}

function published(client, message) {
  const refused = reason(message.channel, 'publish')
  if (refused) {
    message.error = `403:${refused}:publish_denied`
  } else if (message.channel === `${base}veto`) {
    message.error = '404::message_deleted'
  } else if (message.channel === `${services}publish`) {
    publish(client, message)
  }
}

function publish(client, message) {
  const data = Object(message.data)
  if (!String(data.channel).startsWith('/')) {
    message.error = '404::message_deleted'
    return
  }
  const contents = data.count === undefined
    ? [data.data ?? null]
    : Array.from({ length: Math.min(data.count, mostMessages) }, (_, i) => i + 1)
  setTimeout(() => contents.forEach((content) => client.publish(data.channel, content)), Math.min(data.delayMs || 0, mostMillis))
}

/** Why an operation on a channel is refused; undefined if it is not. */
function reason(channel, operation) {
  const name = String(channel)
  if (`${name}/`.startsWith(`${base}denied/create/`) || name === `${base}denied/${operation}`) return byPolicy
  const authorizer = name.startsWith(`${base}authorizer/`) ? name.slice(`${base}authorizer/`.length) : ''
  if (['deny', 'both'].includes(authorizer)) return 'fixture_denied'
  if (authorizer === 'ignore' || (/^wild\//.test(authorizer) && authorizer !== 'wild/open')) return notGranted
  if (['subscribe', 'publish'].includes(authorizer) && authorizer !== operation) return notGranted
  return undefined
}
