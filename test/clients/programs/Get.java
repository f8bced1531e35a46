import java.io.FileInputStream;
import java.net.InetSocketAddress;
import java.net.ProxySelector;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.WebSocket;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/** Gets every URL of the command line with one client, or says hello to its WebSocket, and prints what it got. */
class Get {
    public static void main(String[] urls) throws Exception {
        HttpClient client = newClient();
        for (String url : urls) {
            // JDK 17 would send the handshake in origin-form on a connection kept for absolute-form: hence one of its own.
            System.out.println(url.startsWith("ws") ? hello(newClient(), URI.create(url)) : get(client, URI.create(url)));
        }
    }

    static HttpClient newClient() throws Exception {
        URI proxy = URI.create(System.getenv("HTTPS_PROXY"));
        return HttpClient.newBuilder()
            .proxy(ProxySelector.of(new InetSocketAddress(proxy.getHost(), proxy.getPort())))
            .sslContext(trust(System.getenv("SSL_CERT_FILE")))
            .build();
    }

    static SSLContext trust(String file) throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (FileInputStream input = new FileInputStream(file)) {
            store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(input));
        }
        TrustManagerFactory factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        factory.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, factory.getTrustManagers(), null);
        return context;
    }

    static String get(HttpClient client, URI url) throws Exception {
        HttpResponse<String> response = client.send(HttpRequest.newBuilder(url).build(), HttpResponse.BodyHandlers.ofString());
        if (response.statusCode() != 200) throw new Exception(url + ": " + response.statusCode());
        return response.body();
    }

    static String hello(HttpClient client, URI url) throws Exception {
        CompletableFuture<String> answer = new CompletableFuture<>();
        WebSocket socket = client.newWebSocketBuilder().buildAsync(url, new WebSocket.Listener() {
            @Override
            public CompletionStage<?> onText(WebSocket socket, CharSequence data, boolean last) {
                answer.complete(data.toString());
                return null;
            }
        }).get(20, TimeUnit.SECONDS);
        socket.sendText("hello", true).get(20, TimeUnit.SECONDS);
        String text = answer.get(20, TimeUnit.SECONDS);
        socket.sendClose(WebSocket.NORMAL_CLOSURE, "").get(20, TimeUnit.SECONDS);
        return text;
    }
}
