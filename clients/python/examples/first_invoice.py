"""Create an invoice, print its payment request, watch it until it is paid.

python first_invoice.py [HOST:PORT]        the key, where one is needed, is in the variable TILL_KEY
"""

import os
import sys

import till


def main(address: str = "127.0.0.1:50051") -> None:
    """Sell a coffee."""
    with till.Client(address, key=os.environ.get("TILL_KEY")) as client:
        invoice = client.create_invoice(5000, {"type": "shop"}, description="a coffee")
        print(invoice.bolt11, flush=True)

        for state in client.watch(invoice):
            print(state.status, flush=True)

        if state.payment:
            print(f"received {state.payment.amount_received_msat} msat at {state.payment.paid_at}")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except till.Error as error:
        sys.exit(str(error))
