from p4 import *
class T3(Tab):
    def var(s,i):
        v0=1/(s.root[1]+1); c=s.m.get(G[i])
        if c is None: return v0
        n=c[1]; w=n/(n+s.k)
        return w*w/np.maximum(n,1)+(1-w)**2*v0
def run5(w,kappa,sig,eps=0.0,orders=10,q0=.7,lr=.3,both=True):
    on=[];la=[]
    for o in range(orders):
        rng=np.random.default_rng(100+o); order=rng.permutation(N); L=Hyb(lr,w); L.tab=T3(kappa,q0,1); L.tok.B+=np.log(q0/(1-q0)); got=np.empty(N)
        for t,i in enumerate(order):
            u=L.utility(i); a=int(np.argmax(u+sig*np.sqrt(L.tab.var(i))*rng.normal(size=A)))
            e=max(.02,eps*np.sqrt(50/(50+t))) if eps else 0
            if rng.random()<e: a=int(rng.integers(A))
            got[t]=task.utilities[i,a]; L.learn(i,a,task.successes[i,a],0,0)
        on.append(got.mean()); la.append(got[N//2:].mean())
    return f"{np.mean(on):.4f}+-{np.std(on):.4f} / {np.mean(la):.4f}"
if __name__=='__main__':
    for w in (.5,):
        for kappa in (10,40):
            for sig,eps in ((.3,0),(.4,0),(.5,0),(.3,.05),(.4,.02)): print(w,kappa,sig,eps,run5(w,kappa,sig,eps),flush=True)
