// SPDX-License-Identifier: GPL-2.0

// A program as one writes it in Go: it tells each client its address, and how it came.
package main

import (
	"fmt"
	"net"
	"os"
)

func main() {
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		panic(err)
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		multipath, _ := conn.(*net.TCPConn).MultipathTCP()
		fmt.Fprintf(conn, "%s %t\n", conn.RemoteAddr(), multipath)
		conn.Close()
	}
}
