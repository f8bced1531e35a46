<?php
// Gets every URL of the command line with ext/curl, in one handle, and prints what it got.
$curl = curl_init();
curl_setopt_array($curl, [CURLOPT_RETURNTRANSFER => true, CURLOPT_FAILONERROR => true, CURLOPT_TIMEOUT => 20]);
foreach (array_slice($argv, 1) as $url) {
    curl_setopt($curl, CURLOPT_URL, $url);
    $body = curl_exec($curl);
    if ($body === false) {
        fwrite(STDERR, "$url: " . curl_error($curl) . "\n");
        exit(1);
    }
    echo $body;
}
