# What a test cluster with Kerberos has besides: a KDC, keytabs, a certificate, and Hadoop's properties. Read by `cluster`.

REALM=HEARTH.TEST

kerberos_properties() {
    local server
    for server in namenode datanode; do
        property "dfs.$server.kerberos.principal" "hdfs/localhost@$REALM"
        property "dfs.$server.keytab.file" "$DIR/conf/servers.keytab"
    done
    property dfs.web.authentication.kerberos.principal "HTTP/localhost@$REALM"
    property dfs.web.authentication.kerberos.keytab "$DIR/conf/servers.keytab"
    property dfs.block.access.token.enable true
    property dfs.data.transfer.protection privacy
    property dfs.encrypt.data.transfer.cipher.suites AES/CTR/NoPadding
    property dfs.http.policy HTTPS_ONLY
}

security_properties() {
    [ "$SECURE" = yes ] || return 0
    property hadoop.security.authentication kerberos
    property hadoop.security.authorization true
    property hadoop.rpc.protection privacy
}

# A KDC with two principals of the servers and one for tests, and a certificate, without which no DataNode starts.
prepare_kerberos() {
    local conf=$DIR/conf kdc=$DIR/data/kdc side
    mkdir -p "$conf" "$kdc" "$DIR/logs" "$DIR/pids"
    cat > "$conf/krb5.conf" <<END
[libdefaults]
 default_realm = $REALM
 dns_lookup_kdc = false
 rdns = false
 dns_canonicalize_hostname = false
 udp_preference_limit = 1
[realms]
 $REALM = {
  kdc = 127.0.0.1:$NN2_RPC
 }
END
    cat > "$kdc/kdc.conf" <<END
[kdcdefaults]
 kdc_listen = 127.0.0.1:$NN2_RPC
 kdc_tcp_listen = 127.0.0.1:$NN2_RPC
[realms]
 $REALM = {
  database_name = $kdc/principal
  key_stash_file = $kdc/stash
 }
END
    export KRB5_CONFIG=$conf/krb5.conf KRB5_KDC_PROFILE=$kdc/kdc.conf
    if [ ! -f "$kdc/stash" ]; then
        {
            kdb5_util create -s -r "$REALM" -P "$RANDOM$RANDOM"
            for side in hdfs/localhost HTTP/localhost hearth; do kadmin.local -q "addprinc -randkey $side"; done
            kadmin.local -q "ktadd -k $conf/servers.keytab hdfs/localhost HTTP/localhost"
            kadmin.local -q "ktadd -k $conf/hearth.keytab hearth"
            keytool -genkeypair -alias server -keyalg RSA -storetype JKS -keystore "$conf/server.jks" -storepass changeit \
                -keypass changeit -dname CN=localhost
        } > "$DIR/logs/prepare-kerberos.log" 2>&1 || fail "could not make a KDC; see $DIR/logs/prepare-kerberos.log"
    fi
    {
        property ssl.server.keystore.location "$conf/server.jks"
        property ssl.server.keystore.password changeit
        property ssl.server.keystore.keypassword changeit
    } | site > "$conf/ssl-server.xml"
    setsid nohup krb5kdc -n -P "$DIR/logs/kdc.pid" >> "$DIR/logs/kdc.log" 2>&1 < /dev/null 9>&- &
    echo $! > "$DIR/pids/kdc"
    until_true "the KDC listens" port_is_taken "$NN2_RPC"
}

# What the shells of Hadoop run as: the superuser.
be_superuser() {
    [ "$SECURE" = yes ] || return 0
    export KRB5_CONFIG=$DIR/conf/krb5.conf KRB5CCNAME=$DIR/data/superuser.ticket
    kinit -kt "$DIR/conf/servers.keytab" hdfs/localhost
}
