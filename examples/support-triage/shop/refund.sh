#!/bin/sh
# Pays back an amount, here into a ledger: refund.sh ORDER AMOUNT
set -eu
echo "$1,$2" >> refunds.csv
echo "$2"
